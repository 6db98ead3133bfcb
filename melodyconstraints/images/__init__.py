"""Images: a second domain on the same core, digits and faces with their attributes."""
