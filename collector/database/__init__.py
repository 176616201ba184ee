"""Database tables, migrations, engines and URLs: what writing and reading share."""
