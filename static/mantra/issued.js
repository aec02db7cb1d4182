// Going back or reloading must not issue another key: the address becomes that of the key's own page.
"use strict";
history.replaceState(null, "", document.getElementById("issued").dataset.shownAt);
