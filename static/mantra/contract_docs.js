// Shows an OpenAPI document by Swagger UI: a service's, or the management API's. The key that is typed in is kept nowhere but in this page.
"use strict";

(function () {
    const place = document.getElementById("contract-docs");
    // Controls of Swagger UI that have no name of their own → their names.
    const NAMES = {"#servers": place.dataset.server, ".close-modal": place.dataset.close};

    // What Swagger UI lacks for people who use a keyboard or a screen reader.
    function mend() {
        for (const [selector, name] of Object.entries(NAMES)) {
            for (const control of place.querySelectorAll(`${selector}:not([aria-label])`)) {
                control.setAttribute("aria-label", name);
            }
        }
        // Their label is another text than the one that people see and say.
        for (const button of place.querySelectorAll(".modal-btn[aria-label]")) {
            button.removeAttribute("aria-label");
        }
        // Wide code is scrolled, also with the keyboard.
        for (const code of place.querySelectorAll("pre:not([tabindex])")) {
            code.tabIndex = 0;
        }
    }

    // A person who is signed in changes rows of this server with the token of the page.
    function withToken(request) {
        const { csrf, csrfHeader } = place.dataset;
        const own = new URL(request.url, document.baseURI).origin === location.origin;
        if (csrf && own && !["GET", undefined].includes(request.method)) {
            request.headers[csrfHeader] = csrf;
        }
        return request;
    }

    new MutationObserver(mend).observe(place, {childList: true, subtree: true});
    window.SwaggerUIBundle({
        url: place.dataset.url,
        domNode: place,
        defaultModelsExpandDepth: -1,
        docExpansion: "list",
        persistAuthorization: false,
        requestInterceptor: withToken,
        tryItOutEnabled: true,
        validatorUrl: null,
    });
})();
