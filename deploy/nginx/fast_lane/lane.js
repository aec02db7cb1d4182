// A call on the fast lane: its admission is found, one call is taken from its lease, and of the upstream's response goes
// back what the bus would pass on. Whatever is in doubt goes by the bus.
//
// Each request has a script of its own, and njs runs the top level of this file to begin it. So here are few functions,
// and what nginx can do by variables of its own is in http.conf.

import crypto from 'crypto';

// Whether the response's length is known: then its body need not be counted. Whether it is sent in so little time that
// nobody can stop it on its way.
let known = false;
let short = false;
let count = 0;

// Bytes from which on each piece of a body is looked at: its call may have been stopped.
const LONG = 262144;

// From this place on, headers.json has headers that hold addresses.
const ADDRESSES = 15;

// The name of the admission that fits a request.
function nameOf(variables) {
    return crypto.createHash('sha256').update(variables.lane_asker).digest('base64');
}

// The call's admission after the time in 12 hex digits, with one call taken from its lease. Else where the bus is asked
// for one; '' where the bus serves the call as ever. admissions.js (recordOf) has the places of what is read here.
function choose(r) {
    const variables = r.variables;
    const name = nameOf(variables);
    const kept = ngx.shared.lane_admissions.get(name);
    if (kept === undefined) {
        return ask(variables, name, '-;-');
    }
    const now = Date.now();
    const due = now >= kept.slice(13, 26);
    if (due && ngx.shared.lane_asked.add(name, '')) {
        return asking(variables, name, used(kept));
    }
    if (now < kept.slice(0, 13)) {
        const left = ngx.shared.lane_leases.incr(kept.slice(26, 42), -1);
        if (left >= 0) {
            if (kept.charAt(47) !== '-') {
                variables.lane_limit = limit(kept, left, now);
            }
            return '0' + now.toString(16) + kept;
        }
    }
    return due ? '' : ask(variables, name, used(kept));
}

// One call at a time asks for an admission. The others go by the bus without one, or use the one that is about to end.
function ask(variables, name, last) {
    return ngx.shared.lane_asked.add(name, '') ? asking(variables, name, last) : '';
}

function asking(variables, name, last) {
    variables.lane_name = name;
    variables.lane_offer = `${variables.fast_lane_groups};${last}`;
    return 'lane:ask';
}

// What has been taken of a lease: the size of the next one depends on it.
function used(kept) {
    const left = ngx.shared.lane_leases.get(kept.slice(26, 42));
    return `${kept.slice(26, 42)};${kept.slice(42, 47) - Math.max(left || 0, 0)}`;
}

// What is left of the quota after a call.
function limit(kept, left, now) {
    const seconds = Math.max(1, Math.ceil((kept.slice(62, 75) - now) / 1000));
    return `"quota";r=${Number(kept.slice(47, 62)) + left};t=${seconds}`;
}

// Of the upstream's head goes back what the operation returns. http.conf adds the bus's own headers after this.
function head(r) {
    const out = r.headersOut;
    const variables = r.variables;
    const length = out['Content-Length'];
    known = length !== undefined || r.method === 'HEAD';
    short = known && !(length > LONG);
    // A caller would take what follows for the response, or wait for another one.
    if (r.status < 200 || r.status > 599) {
        throw new Error('the upstream sent no response');
    }
    if (length > 0 && r.method !== 'HEAD' && Number(length) > Number(variables.lane_max)) {
        cut(variables, 'large');
    }
    // What is no HTTP nginx takes for HTTP/0.9, and would pass on as it came, without a head.
    if (!known && Number(r.httpVersion) < 1) {
        throw new Error('the upstream sent no HTTP');
    }
    const flags = variables.lane_returned;
    const named = variables.lane_named;
    for (const name in out) {
        const place = places[name];
        const returned = place === undefined ? isOther(variables, name) : flags.charAt(place) === '1';
        if (!returned || (named && isNamed(named, name.toLowerCase()))) {
            delete out[name];
        } else if (place === undefined || place >= ADDRESSES) {
            out[name] = withoutAddresses(name.toLowerCase(), String(out[name]), variables);
        }
    }
    if (r.status === 204) {
        delete out['Content-Length'];
    }
}

// Whether a header goes back that headers.json has not as it is spelled.
function isOther(variables, name) {
    const lower = name.toLowerCase();
    const place = places[lower];
    return place === undefined
        ? variables.lane_others.includes(`,${lower},`) : variables.lane_returned.charAt(place) === '1';
}

// Counts a body whose length its upstream did not state, and ends one whose call was stopped.
function body(r, data, flags) {
    if (!short && isStopped(r.variables.lane_parts)) {
        cut(r.variables, 'stopped');
    }
    r.sendBuffer(data, flags);
    if (short) {
        r.done();
        return;
    }
    count += data.length;
    if (!known && count > Number(r.variables.lane_max)) {
        cut(r.variables, 'large');
    }
}

// Whether anything that takes part in a call is among what the bus says is stopped (admissions.js, tick).
function isStopped(parts) {
    const stops = ngx.shared.lane_stops.get('now');
    return stops !== undefined && parts.split(',').some(part => stops.includes(`,${part},`));
}

// Ends a response that is larger than its operation allows, or stopped: the caller's connection is closed within it.
function cut(variables, why) {
    variables.lane_cut = why;
    throw new Error(`the response is ${why}`);
}

// Whether a Connection header names another one. Content-Type and Content-Length describe the body and stay.
function isNamed(connection, name) {
    return name !== 'content-type' && name !== 'content-length'
        && connection.toLowerCase().split(',').some(each => each.trim() === name);
}

// A header of the upstream's that nginx puts together with the bus's own; '' where it does not go back.
function returnedValue(variables, name) {
    const named = variables.lane_named;
    const returns = variables.lane_returned.charAt(places[name]) === '1' && !(named && isNamed(named, name));
    return returns ? variables[`upstream_http_${name.replace('-', '_')}`] || '' : '';
}

// Cache-Control of a response that is for its caller only, whatever its upstream would allow.
function control(r) {
    const kept = returnedValue(r.variables, 'cache-control').split(',').map(part => part.trim()).filter(part =>
        part && !['public', 'private', 's-maxage'].includes(part.split('=')[0].trim().toLowerCase()));
    if (!kept.length || kept.some(part => part.toLowerCase() === 'no-store')) {
        return 'no-store';
    }
    return ['private'].concat(kept).join(', ');
}

function vary(r) {
    return returnedValue(r.variables, 'vary');
}

// Addresses of the upstream in a header become those below the alias: the same as
// proxyservices/forwarding/addresses.py. Its parts are within it, so that only a response that has addresses makes them.
function withoutAddresses(name, value, variables) {
    if (!(name === 'location' || name === 'link' || name.endsWith('-location'))) {
        return value;
    }
    const suffix = variables.lane_suffix;
    const alias = variables.lane_alias;

    // An absolute address of http in parts; null for anything else.
    function parts(address) {
        const found = address.match(/^(https?):\/\/([^\/?#]*)([^?#]*)(\?[^#]*)?(#.*)?$/i);
        if (!found) {
            return null;
        }
        const scheme = found[1].toLowerCase();
        const host = found[2].slice(found[2].lastIndexOf('@') + 1).toLowerCase();
        const origin = /:[0-9]+$/.test(host) ? host : host.replace(/:$/, '') + (scheme === 'https' ? ':443' : ':80');
        return {
            scheme: scheme, authority: found[2], origin: origin, path: found[3],
            rest: (found[4] || '') + (found[5] || ''),
        };
    }

    // A path without the segments "." and ".." (RFC 3986, 5.2.4).
    function withoutDots(path) {
        const kept = [];
        const segments = path.split('/').slice(1);
        segments.forEach((segment, index) => {
            const dots = segment === '.' || segment === '..';
            if (segment === '..') {
                kept.pop();
            } else if (!dots) {
                kept.push(segment);
            }
            if (dots && index === segments.length - 1) {
                kept.push('');
            }
        });
        return '/' + kept.join('/');
    }

    // A relative reference as the upstream means it, in parts.
    function resolved(reference, base) {
        if (reference.startsWith('//')) {
            return parts(base.scheme + ':' + reference);
        }
        const found = reference.match(/^([^?#]*)(.*)$/);
        const asked = base.path + suffix;
        let path = found[1] || asked;
        if (!path.startsWith('/')) {
            path = found[1] ? asked.slice(0, asked.lastIndexOf('/') + 1) + path : path;
        }
        path = path && withoutDots(path.startsWith('/') ? path : '/' + path);
        return {scheme: base.scheme, authority: base.authority, origin: base.origin, path: path, rest: found[2]};
    }

    // An address below the alias, where it is one of the base's; null where it is not.
    function below(to, base) {
        if (to.origin !== base.origin || !(to.path === base.path || to.path.startsWith(base.path + '/'))) {
            return null;
        }
        const climbs = /(^|[\/\\])(\.|%2e){1,2}([\/\\;]|$)/i.test(to.path);
        return climbs ? null : alias + to.path.slice(base.path.length) + to.rest;
    }

    // One of the upstream's that is not below its path becomes absolute; one of another host stays.
    function moved(reference) {
        const absolute = parts(reference);
        if (!absolute && /^[a-z][a-z0-9+.-]*:/i.test(reference)) {
            return reference;
        }
        const meant = variables.lane_bases.split(' ').map(parts).filter(base => base !== null).map(base =>
            ({base: base, to: absolute || resolved(reference, base)})).filter(each => each.to);
        const found = meant.map(each => below(each.to, each.base)).filter(address => address !== null);
        if (found.length) {
            return found[0];
        }
        const to = !absolute && meant.length ? meant[0].to : null;
        return to ? `${to.scheme}://${to.authority}${to.path}${to.rest}` : reference;
    }

    if (name !== 'link') {
        return moved(value);
    }
    return value.replace(/"(?:[^"\\]|\\.)*"|<([^<>]*)>/g, (whole, target) =>
        target === undefined ? whole : `<${moved(target)}>`);
}

export default {nameOf, choose, head, body, control, vary};
