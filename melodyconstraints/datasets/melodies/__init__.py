"""From folders of MIDI files to a melody store."""
