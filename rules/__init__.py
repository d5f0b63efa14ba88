"""What lkscan thinks of it: rules, their tables and pages, and the funnel."""
