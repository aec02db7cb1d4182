"""The bus beside other systems that do the same work on the same machine: ``bench/run peers``."""
