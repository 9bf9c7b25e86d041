"""How the painter paints: canvas, sky, land, and the scenes composed of them."""
