"""Write the result of the checks to files: HTML, CSV, JSON and Excel."""
