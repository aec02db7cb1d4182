"""Who looked at this citizen: the records about one person, with what each call was for."""
