"""The backward sweep over a figure -> frames -> a GIF, or a folder of numbered pictures."""
