"""The edges: HTTP, worker, command line, pages. The only place that imports every context."""
