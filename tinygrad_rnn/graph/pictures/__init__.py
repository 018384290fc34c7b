"""A figure with coordinates -> DOT text, or plain data; DOT text -> PNG, SVG and PDF with words inside, or no file."""
