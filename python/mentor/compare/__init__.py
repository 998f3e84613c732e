"""Methods side by side over seeds: tables, tests and figures from run folders."""
