"""The networks of the recipes, one file per family, in a registry; the checkpoint reader and writer; loading."""
