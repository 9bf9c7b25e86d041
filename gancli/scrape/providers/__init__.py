"""scrape/providers"""
