"""dBase and FoxPro files as SQL tables: copied into SQLite files, which are built again when the files change."""
