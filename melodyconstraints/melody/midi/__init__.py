"""From MIDI files to melodies and back."""
