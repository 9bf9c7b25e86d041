"""gan: from an idea to a trained image generator and a moving picture."""
