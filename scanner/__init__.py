"""What is there: opens specs and images and yields subjects; judges nothing."""
