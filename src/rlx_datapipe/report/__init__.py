"""Pages out: one offline HTML file with plots, light and dark, readable on a phone; and Markdown."""
