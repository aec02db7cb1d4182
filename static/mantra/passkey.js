// Lets the browser make or use a passkey, and sends what it says with the form. Without it the buttons stay hidden.
"use strict";
(() => {
    const bytes = (text) => {
        const padded = text.replace(/-/g, "+").replace(/_/g, "/");
        return Uint8Array.from(atob(padded), (each) => each.charCodeAt(0));
    };
    const text = (buffer) => {
        const raw = String.fromCharCode(...new Uint8Array(buffer));
        return btoa(raw).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
    };
    const decoded = (list) => (list || []).map((each) => ({ ...each, id: bytes(each.id) }));

    const create = (options) => navigator.credentials.create({
        publicKey: {
            ...options,
            challenge: bytes(options.challenge),
            user: { ...options.user, id: bytes(options.user.id) },
            excludeCredentials: decoded(options.excludeCredentials),
        },
    });
    const get = (options) => navigator.credentials.get({
        publicKey: { ...options, challenge: bytes(options.challenge), allowCredentials: decoded(options.allowCredentials) },
    });

    const written = (credential) => {
        const response = {};
        for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
            if (credential.response[name]) response[name] = text(credential.response[name]);
        }
        return JSON.stringify({
            id: credential.id,
            rawId: text(credential.rawId),
            type: credential.type,
            response,
            clientExtensionResults: credential.getClientExtensionResults(),
            authenticatorAttachment: credential.authenticatorAttachment,
        });
    };

    const optionsOf = async (form) => {
        if (form.dataset.passkey !== "login") {
            const data = JSON.parse(form.querySelector("script").textContent);
            return data.creation_options || data.request_options;
        }
        const response = await fetch(form.action, { headers: { Accept: "application/json" } });
        if (!response.ok) throw new Error(String(response.status));
        return (await response.json()).request_options;
    };

    const submit = async (form) => {
        const status = form.querySelector("[data-failed]");
        status.textContent = "";
        try {
            const options = (await optionsOf(form)).publicKey;
            const credential = await (form.dataset.passkey === "create" ? create(options) : get(options));
            form.elements.credential.value = written(credential);
            form.submit();
        } catch {
            status.textContent = status.dataset.failed;
        }
    };

    for (const form of document.querySelectorAll("[data-passkey]")) {
        if (!window.PublicKeyCredential) continue;
        form.hidden = false;
        form.addEventListener("submit", (event) => {
            event.preventDefault();
            submit(form);
        });
    }
})();
