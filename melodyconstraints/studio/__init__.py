"""The page and the API of ``mc studio``: melodies in a browser, and for other programs by HTTP."""
