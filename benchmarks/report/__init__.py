"""What every report consists of: records, number formats, sections, and their HTML and Markdown."""
