"""dBase and FoxPro files as SQL tables: read with care, kept in SQLite files, rebuilt when they change."""
