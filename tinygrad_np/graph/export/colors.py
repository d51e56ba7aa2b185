"""The colours of pictures, and what the kinds of boxes are called.

The hues are those of Okabe and Ito (2008), which colour-blind readers tell apart.  Borders and inks are
darkened and fills lightened: text has a contrast of 4.5:1 or more (WCAG 2).  No colour stands alone: form
or words say the same.
"""

KINDS = {"parameter": "parameter", "data": "data", "op": "operation", "folded": "folded", "result": "result"}
BORDERS = {"parameter": "#0072B2", "data": "#595959", "op": "#B07C00", "folded": "#009E73", "result": "#D55E00"}
FILLS = {"parameter": "#D6EAF8", "data": "#F2F2F2", "op": "#FFF3D6", "folded": "#DDF3EC", "result": "#FBE9DF"}
PAPER, FRAME, FRAME_FILL = "#FFFFFF", "#AEB8C2", "#F7F9FB"
INK, PALE, LINE = "#1A1A1A", "#595959", "#7A7A7A"
GRADIENT, BAD = "#A84300", "#B3003C"
SPOILED, SPOILED_FILL = "#8A8A8A", "#E9E9E9"
