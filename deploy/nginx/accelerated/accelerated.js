// What of an upstream's response goes back to the caller where nginx fetches it: the same as from the bus itself.
// The bus names the headers with each call, so that its own lists are the only ones.

// Cache-Control of a response that is for its caller only, whatever its upstream would allow.
function own(control) {
    const kept = control.split(',').map(part => part.trim()).filter(part =>
        part && !['public', 'private', 's-maxage'].includes(part.split('=')[0].toLowerCase()));
    if (!kept.length || kept.some(part => part.toLowerCase() === 'no-store')) {
        return 'no-store';
    }
    return ['private'].concat(kept).join(', ');
}

// An absolute address of http in parts; null for anything else.
function parts(address) {
    const found = address.match(/^(https?):\/\/([^\/?#]*)([^?#]*)(\?[^#]*)?(#.*)?$/i);
    if (!found) {
        return null;
    }
    const scheme = found[1].toLowerCase();
    const host = found[2].slice(found[2].lastIndexOf('@') + 1).toLowerCase();
    const port = host.match(/:([0-9]+)$/);
    return {
        scheme: scheme, authority: found[2], path: found[3], rest: (found[4] || '') + (found[5] || ''),
        origin: port ? host : host.replace(/:$/, '') + (scheme === 'https' ? ':443' : ':80'),
    };
}

// A path without the segments "." and ".." (RFC 3986, 5.2.4).
function withoutDots(path) {
    const kept = [];
    const segments = path.split('/').slice(1);
    segments.forEach((segment, index) => {
        const last = index === segments.length - 1;
        if (segment === '..') {
            kept.pop();
        } else if (segment !== '.') {
            kept.push(segment);
        }
        if (last && (segment === '.' || segment === '..')) {
            kept.push('');
        }
    });
    return '/' + kept.join('/');
}

// A relative reference as the upstream means it, in parts.
function resolved(reference, base, suffix) {
    if (reference.startsWith('//')) {
        return parts(base.scheme + ':' + reference);
    }
    const found = reference.match(/^([^?#]*)(.*)$/);
    const asked = base.path + suffix;
    let path = found[1];
    if (path === '') {
        path = asked;
    } else if (!path.startsWith('/')) {
        path = asked.slice(0, asked.lastIndexOf('/') + 1) + path;
    }
    path = path === '' ? '' : withoutDots(path.startsWith('/') ? path : '/' + path);
    return {scheme: base.scheme, authority: base.authority, origin: base.origin, path: path, rest: found[2]};
}

// An address of the upstream below the alias: the same as proxyservices/forwarding/addresses.py.
function moved(reference, map) {
    const base = parts(map.base);
    const absolute = parts(reference);
    if (!base || (!absolute && /^[a-z][a-z0-9+.-]*:/i.test(reference))) {
        return reference;
    }
    const to = absolute || resolved(reference, base, map.suffix);
    if (!to || to.origin !== base.origin) {
        return reference;
    }
    const below = to.path === base.path || to.path.startsWith(base.path + '/');
    if (below && !/(^|[\/\\])(\.|%2e){1,2}([\/\\;]|$)/i.test(to.path)) {
        return map.alias + to.path.slice(base.path.length) + to.rest;
    }
    return absolute ? reference : to.scheme + '://' + to.authority + to.path + to.rest;
}

function address(name, value, map) {
    if (name === 'location' || name.endsWith('-location')) {
        return moved(value, map);
    }
    return value.replace(/"(?:[^"\\]|\\.)*"|<([^<>]*)>/g, (whole, target) =>
        target === undefined ? whole : '<' + moved(target, map) + '>');
}

function head(r) {
    const out = r.headersOut;
    const stated = out['Content-Length'];
    if (r.method === 'HEAD' || r.status === 204 || r.status === 304) {
        r.variables.mantra_length = 'end';
    } else if (stated !== undefined) {
        r.variables.mantra_length = String(stated);
        if (Number(stated) > Number(r.variables.mantra_max_bytes)) {
            r.variables.mantra_what = 'large';
            throw new Error('too large');
        }
    }
    const content = r.variables.mantra_content.split(',');
    const returned = content.concat(r.variables.mantra_returned.split(','));
    const named = (r.variables.upstream_http_connection || '').toLowerCase().split(',').map(name => name.trim());
    for (const name in out) {
        const lower = name.toLowerCase();
        if (!returned.includes(lower) || (named.includes(lower) && !content.includes(lower))) {
            delete out[name];
        }
    }
    const map = JSON.parse(r.variables.mantra_addresses);
    for (const name in out) {
        const lower = name.toLowerCase();
        if (lower === 'location' || lower === 'link' || lower.endsWith('-location')) {
            out[name] = address(lower, String(out[name]), map);
        }
    }
    const control = own(String(out['Cache-Control'] || ''));
    out['Cache-Control'] = control;
    if (control !== 'no-store') {
        const vary = out['Vary'] ? out['Vary'] + ', ' : '';
        out['Vary'] = vary + r.variables.mantra_vary;
    }
    const added = JSON.parse(r.variables.mantra_added);
    for (const name in added) {
        out[name] = added[name];
    }
}

// Counts a body whose length its upstream did not state, and tells whether its end came.
function body(r, data, flags) {
    if (r.variables.mantra_length !== '-') {
        r.sendBuffer(data, flags);
        r.done();
        return;
    }
    const count = Number(r.variables.mantra_count) + data.length;
    r.variables.mantra_count = String(count);
    if (count > Number(r.variables.mantra_max_bytes)) {
        r.variables.mantra_what = 'large';
        throw new Error('too large');
    }
    if (flags.last) {
        r.variables.mantra_length = 'end';
    }
    r.sendBuffer(data, flags);
}

export default {head, body};
