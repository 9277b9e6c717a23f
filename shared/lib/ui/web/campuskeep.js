// Campuskeep: small enhancements only; every page works without this file.
import htmx from 'htmx.org/dist/htmx.esm.js';

htmx.config.includeIndicatorStyles = false; // a style element would break the content policy
htmx.config.allowEval = false;
htmx.config.selfRequestsOnly = true;
htmx.config.historyCacheSize = 0; // pages with personal data stay out of the browser's storage

const root = document.documentElement;
const all = (sel, in_ = document) => Array.prototype.slice.call(in_.querySelectorAll(sel));

// Theme: system, light or dark; remembered on this computer.
function theme() {
  let saved = null;
  try { saved = localStorage.getItem('theme'); } catch (e) { /* storage refused */ }
  if (saved) root.setAttribute('data-theme', saved);
  all('[data-set-theme]').forEach((b) => {
    b.addEventListener('click', () => {
      const v = b.getAttribute('data-set-theme');
      if (v) root.setAttribute('data-theme', v); else root.removeAttribute('data-theme');
      try { if (v) localStorage.setItem('theme', v); else localStorage.removeItem('theme'); } catch (e) { /* storage refused */ }
    });
  });
}

// The navigation shows what fits, always with the page that is open; the menu has everything.
function navigation() {
  const nav = document.querySelector('.nav');
  if (!nav) return;
  const top = nav.closest('.top');
  const entries = all('a', nav);
  const fit = () => {
    top.classList.remove('top--more');
    entries.forEach((a) => { a.hidden = false; });
    if (nav.scrollWidth <= nav.clientWidth) return;
    top.classList.add('top--more');
    for (let i = entries.length - 1; i > 0 && nav.scrollWidth > nav.clientWidth; i--) {
      entries[i].hidden = !entries[i].hasAttribute('aria-current');
    }
  };
  fit();
  window.addEventListener('resize', fit);
  if (document.fonts && document.fonts.ready) document.fonts.ready.then(fit);
  const menu = top.querySelector('.menu');
  const shut = (ev) => {
    if (menu.open && (ev.type === 'keydown' ? ev.key === 'Escape' : !menu.contains(ev.target))) {
      menu.open = false;
      if (ev.type === 'keydown') menu.querySelector('summary').focus();
    }
  };
  document.addEventListener('click', shut);
  document.addEventListener('keydown', shut);
}

// A grid of links with one tab stop: arrow keys move in it, and what is reached is told below in words.
function roving(rows, keys) {
  let stop = null;
  const go = (from, next) => {
    if (!next) return;
    from.setAttribute('tabindex', '-1');
    next.setAttribute('tabindex', '0');
    next.focus();
  };
  rows.forEach((cells, y) => {
    cells.forEach((a, x) => {
      if (!stop || a.hasAttribute('aria-current')) stop = a;
      a.setAttribute('tabindex', '-1');
      a.addEventListener('focus', () => { all('[tabindex="0"]', a.closest('table, svg')).forEach((o) => { if (o !== a && (o.classList.contains('day') || o.classList.contains('hour'))) o.setAttribute('tabindex', '-1'); }); a.setAttribute('tabindex', '0'); });
      a.addEventListener('keydown', (ev) => {
        if (ev.ctrlKey && ev.key === 'Home') { ev.preventDefault(); go(a, rows[0][0]); return; }
        if (ev.ctrlKey && ev.key === 'End') { ev.preventDefault(); const r = rows[rows.length - 1]; go(a, r[r.length - 1]); return; }
        if (ev.altKey || ev.ctrlKey || ev.metaKey) return;
        const d = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], PageUp: [-7, 0], PageDown: [7, 0], Home: [-99, 0], End: [99, 0] }[ev.key];
        if (!d) { if (keys && keys(ev, a)) ev.preventDefault(); return; }
        ev.preventDefault();
        if (keys && keys(ev, a, y + d[1] < 0 ? -1 : y + d[1] >= rows.length ? 1 : 0)) return;
        const row = rows[Math.max(0, Math.min(rows.length - 1, y + d[1]))];
        go(a, row[Math.max(0, Math.min(row.length - 1, x + d[0]))]);
      });
    });
  });
  if (stop) stop.setAttribute('tabindex', '0');
}

// The ribbon: beyond the last row lies the next page; Escape closes the chosen day.
function ribbon(scope) {
  all('[data-ribbon]', scope).forEach((wrap) => {
    const panel = wrap.closest('section');
    const rows = all('[data-ribbon-row]', wrap).map((r) => all('.day', r));
    roving(rows, (ev, a, beyond) => {
      if (ev.key === 'Escape') { const x = document.querySelector('[data-key="close"]'); if (x) location.assign(x.href); return !!x; }
      const page = beyond && panel.querySelector(beyond > 0 ? '[rel="next"]' : '[rel="prev"]');
      if (page) location.assign(page.href);
      return !!page;
    });
    const say = panel.querySelector('[data-say]');
    if (!say) return;
    const tell = (ev) => { const a = ev.target.closest && ev.target.closest('.day'); say.textContent = a ? a.getAttribute('aria-label') : say.getAttribute('data-hint'); };
    ['mouseover', 'focusin'].forEach((n) => wrap.addEventListener(n, tell));
  });
}

// The 24 h strip: a click chooses the minute under the pointer; without script each hour is a link.
function strip(scope) {
  all('[data-strip]', scope).forEach((svg) => {
    roving([all('.hour', svg)], (ev) => {
      if (ev.key !== 'Escape') return false;
      const day = document.querySelector('.day[aria-current]');
      if (day) day.focus();
      return !!day;
    });
    svg.addEventListener('click', (ev) => {
      const a = ev.target.closest('a');
      if (!a || ev.detail === 0 || !ev.clientX) return; // by keyboard the hour's own link counts
      const box = svg.getBoundingClientRect();
      const part = Math.max(0, Math.min(0.9993, (ev.clientX - box.left) / box.width));
      const minute = Math.floor(part * Number(svg.getAttribute('data-minutes') || 1440));
      const u = new URL(a.href.baseVal || a.getAttribute('href'), location.href);
      u.searchParams.set('t', String(Math.floor(minute / 60)).padStart(2, '0') + ':' + String(minute % 60).padStart(2, '0'));
      ev.preventDefault();
      location.assign(u.href);
    });
  });
}

function forms(scope) {
  // A chosen box looks chosen.
  all('.opt input', scope).forEach((i) => i.addEventListener('change', () => {
    all('.opt input', i.closest('.opts')).forEach((o) => o.closest('.opt').classList.toggle('is-on', o.checked));
  }));
  // Characters written of those allowed.
  all('[data-count]', scope).forEach((t) => {
    const out = document.getElementById(t.getAttribute('data-count'));
    const show = () => { if (out) out.textContent = Array.from(t.value).length + ' / ' + t.maxLength; };
    t.addEventListener('input', show);
    show();
  });
}

// What a page asks by itself keeps no log-in alive; what a person does at a page that only fetches by itself (footage
// that plays, a board) is told at most once a minute.
document.addEventListener('htmx:configRequest', (ev) => {
  const by = ev.detail.triggeringEvent;
  if (!by || !by.isTrusted) ev.detail.headers['Ck-By-Itself'] = '1';
});
function presence() {
  if (!document.querySelector('[data-live],[data-poll],[data-player],[data-tile]')) return;
  let told = Date.now();
  const tell = () => {
    if (Date.now() - told < 60000) return;
    told = Date.now();
    fetch('/account/alive', { method: 'POST', credentials: 'same-origin' }).catch(() => { /* the next one tells it */ });
  };
  ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart'].forEach((n) => addEventListener(n, tell, { passive: true }));
}

// swapPart puts what was fetched into a part of the page that stays: full screen, focus, what was typed or opened there
// are kept. It waits while somebody is in a field of the part.
function swapPart(el, fresh) {
  const held = document.activeElement;
  if (held && el.contains(held) && /^(INPUT|TEXTAREA|SELECT)$/.test(held.tagName)) {
    held.addEventListener('blur', () => setTimeout(() => { if (el.isConnected) swapPart(el, fresh); }, 0), { once: true });
    return;
  }
  const name = (n) => (n.id ? '#' + CSS.escape(n.id) : n.getAttribute('href') ? n.tagName + '[href="' + CSS.escape(n.getAttribute('href')) + '"]' : '');
  const focus = held && held !== el && el.contains(held) ? name(held) : '';
  const typed = new Map(all('input[id],textarea[id],select[id]', el).map((f) => [f.id, [f.value, f.checked]]));
  const opened = all('details', el).map((d) => d.open);
  el.innerHTML = fresh.innerHTML;
  ['data-poll'].forEach((n) => { if (fresh.hasAttribute(n)) el.setAttribute(n, fresh.getAttribute(n)); else el.removeAttribute(n); });
  typed.forEach((v, id) => { const f = document.getElementById(id); if (f) { if (f.type !== 'file') f.value = v[0]; f.checked = v[1]; } });
  const details = all('details', el);
  if (details.length === opened.length) details.forEach((d, n) => { d.open = opened[n]; });
  const back = focus && el.querySelector(focus);
  if (back) back.focus({ preventScroll: true });
  htmx.process(el);
  ribbon(el.parentNode);
  forms(el);
}

// announce tells screen readers one sentence of a part that changes, at most every ten seconds.
let announced = 0;
function announce(el) {
  const to = document.querySelector('[data-announced]'), text = el.querySelector('[data-announce]');
  if (!to || !text || Date.now() - announced < 10000 || to.textContent === text.textContent) return;
  announced = Date.now();
  to.textContent = text.textContent;
}

// livePart keeps a part of the page fresh: fetched when the server says that something changed (data-live), or every so
// many seconds (data-poll). What could not be fetched is tried again, ever later, and the page says how old it is.
function livePart(el) {
  let busy = false, again = false, misses = 0, timer = 0, asOf = Date.now(), gone = false, shown = el.innerHTML;
  const note = document.createElement('p');
  note.className = 'note warn live-fault';
  note.setAttribute('role', 'status');
  note.hidden = true;
  el.parentNode.insertBefore(note, el);
  const clock = () => new Date(asOf).toLocaleTimeString('sv-SE'); // hh:mm:ss
  const fault = (out) => {
    document.body.classList.add('is-stale');
    const text = (document.body.getAttribute(out ? 'data-t-out' : 'data-t-stale') || '').replace('%t', clock());
    if (note.textContent === text) return;
    note.textContent = text + ' ';
    if (out) {
      const a = document.createElement('a');
      a.href = '/login?next=' + encodeURIComponent(location.pathname + location.search);
      a.textContent = document.body.getAttribute('data-t-login') || 'login';
      note.appendChild(a);
    }
    note.hidden = false;
  };
  const later = (ms) => { clearTimeout(timer); timer = setTimeout(load, ms * (1 + Math.random() / 4)); };
  async function load() {
    if (gone) return;
    if (busy) { again = true; return; }
    busy = true;
    clearTimeout(timer);
    try {
      const r = await fetch(el.getAttribute('data-live-src') || location.href, { credentials: 'same-origin', cache: 'no-store', redirect: 'manual', headers: { 'Ck-By-Itself': '1' } });
      if (r.status === 401) { fault(true); later(60000); return; }
      if (!r.ok) throw new Error(String(r.status));
      if (r.headers.has('Ck-Load-Anew')) { gone = true; location.reload(); return; } // another page is here now
      const page = new DOMParser().parseFromString(await r.text(), 'text/html');
      const fresh = page.getElementById(el.id);
      if (!fresh) throw new Error('the answer lacks the part');
      if (fresh.innerHTML !== shown) swapPart(el, fresh);
      shown = fresh.innerHTML;
      misses = 0;
      asOf = Date.now();
      note.hidden = true;
      note.textContent = '';
      document.body.classList.remove('is-stale');
      all('[data-as-of]').forEach((t) => { t.textContent = clock(); });
      announce(el);
      const every = Number(el.getAttribute('data-poll'));
      if (every) later(every * 1000);
    } catch (e) {
      fault(false);
      misses++;
      later(Math.min(60000, 2000 * Math.pow(2, misses - 1)));
    } finally {
      busy = false;
      if (again) { again = false; load(); }
    }
  }
  if (el.hasAttribute('data-poll')) later(Number(el.getAttribute('data-poll')) * 1000);
  if (el.hasAttribute('data-live') && window.EventSource) listen(el.getAttribute('data-live'), load, () => fault(false));
  addEventListener('focus', () => { if (!note.hidden) load(); }); // somebody may have logged in again in another tab
  addEventListener('pagehide', () => { gone = true; clearTimeout(timer); });
}

// listen follows a stream of events; changed is called for each, and whenever the stream begins, since what came after
// the page was made and before that is not told. A refused stream is asked for again, ever later and not by all pages at once.
function listen(src, changed, lost) {
  let es = null, misses = 0, timer = 0;
  const open = () => {
    es = new EventSource(src);
    es.addEventListener('change', changed);
    es.addEventListener('open', () => { misses = 0; changed(); });
    es.addEventListener('error', () => {
      lost();
      es.close();
      clearTimeout(timer);
      misses++;
      timer = setTimeout(open, Math.min(60000, 1000 * Math.pow(2, misses)) * (0.5 + Math.random()));
      if (misses > 1) changed(); // it says why: the log-in may have ended
    });
  };
  open();
  addEventListener('pagehide', () => { clearTimeout(timer); es.close(); });
  addEventListener('pageshow', (ev) => { if (ev.persisted) open(); });
}

// A form with what somebody wrote asks before the page goes.
function unsaved() {
  let changed = false;
  all('form[data-keep]').forEach((f) => {
    f.addEventListener('input', () => { changed = true; });
    f.addEventListener('submit', () => { changed = false; });
  });
  addEventListener('beforeunload', (ev) => { if (changed) { ev.preventDefault(); ev.returnValue = ''; } });
}

all('[data-print]').forEach((b) => b.addEventListener('click', () => window.print()));
if (document.querySelector('[data-print-now]')) addEventListener('load', () => setTimeout(() => window.print(), 200));
all('[data-fullscreen]').forEach((b) => b.addEventListener('click', () => {
  const el = document.getElementById(b.getAttribute('data-fullscreen')) || root;
  if (document.fullscreenElement) document.exitFullscreen(); else if (el.requestFullscreen) el.requestFullscreen();
}));
// On a phone the ribbon scrolls in its frame: begin at the chosen day, else at now.
all('.rib-wrap').forEach((w) => {
  if (w.classList.contains('rib-wrap--week')) return;
  const cur = w.querySelector('.day[aria-current] rect');
  const x = cur ? cur.getBoundingClientRect().left - w.getBoundingClientRect().left - w.clientWidth / 2 : w.scrollWidth;
  w.scrollLeft = Math.max(0, x);
});
all('.strip').forEach((w) => {
  const mark = w.querySelector('.s-now');
  if (mark) w.scrollLeft = Math.max(0, mark.getBoundingClientRect().left - w.getBoundingClientRect().left - w.clientWidth / 2);
});
// A group that was just opened or closed keeps the focus; so does the day that was just chosen.
if (location.hash.startsWith('#group-')) { const g = document.getElementById(location.hash.slice(1)); if (g) g.focus({ preventScroll: true }); }
theme();
navigation();
ribbon(document);
strip(document);
forms(document);
all('[data-live],[data-poll]').forEach(livePart);
presence();
unsaved();
document.body.addEventListener('htmx:afterSwap', (ev) => { const t = ev.detail.target; if (t && t.parentNode) { ribbon(t.parentNode); forms(t); } });
const bad = document.querySelector('.errsum');
if (bad) { bad.setAttribute('tabindex', '-1'); bad.focus(); }
