// Shows a service's OpenAPI document by Swagger UI. The key that is typed in is kept nowhere but in this page.
"use strict";

(function () {
    const place = document.getElementById("contract-docs");
    window.SwaggerUIBundle({
        url: place.dataset.url,
        domNode: place,
        deepLinking: true,
        defaultModelsExpandDepth: -1,
        docExpansion: "list",
        persistAuthorization: false,
        tryItOutEnabled: true,
        validatorUrl: null,
    });
})();
