// What the theme's attributes for Alpine name. Its build for strict content security policies reads single expressions, in
// which only the data of a page counts: no name of the browser, and no function that a script has defined.
"use strict";

document.addEventListener("alpine:init", () => {
    // The names that expressions on several pages have. They belong to the data of the whole page.
    const known = {
        get window() {
            const { pathname, search } = location;
            return { location: { pathname, search } };
        },
        sortRecords: (event) => sortRecords(event),
        moveRecords: (event) => moveRecords(event),
    };

    function withKnown(data) {
        return Object.defineProperties(data, Object.getOwnPropertyDescriptors(known));
    }

    Alpine.data("theme", (chosen) => withKnown(theme(chosen)));
    Alpine.data("searchForm", () => searchForm());
    Alpine.data("searchDropdown", () => searchDropdown());
    Alpine.data("searchCommand", () => searchCommand());

    // The body's: which tab is shown, and whether the menu is.
    Alpine.data("page", (firstTab) => ({
        activeTab: firstTab,
        sidebarMobileOpen: false,
        sidebarDesktopOpen: (localStorage.getItem("sidebarDesktopOpen") ?? "1") === "1",
        init() {
            this.activeTab = (firstTab && getCurrentTab()) || firstTab;
            this.$watch("sidebarDesktopOpen", (open) => localStorage.setItem("sidebarDesktopOpen", open ? "1" : "0"));
        },
    }));
});
