"""Nodes with sizes -> coordinates: rows in a column, columns beside each other, boxes, a curve for every edge."""
