"""Rules by which two values of a field are compared: names, dates, numbers and so on. No Django, no I/O."""
