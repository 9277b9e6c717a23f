// The player of one viewing. The viewing was opened, and its entry committed, before this page was made;
// here only bytes are fetched, shown, and the end is told.
import Hls from 'hls.js/light';
import { watermark, stamp } from './watermark.js';
import { stills } from './still.js';
import { speeds, RATES } from './speed.js';
import { inStep } from './beside.js';
import { previews } from './preview.js';

const boxes = [...document.querySelectorAll('[data-player]')];
if (boxes.length) {
  const first = start(boxes[0], false);
  if (first && boxes[1]) {
    const second = start(boxes[1], true);
    if (second) inStep(first, second);
  }
}

// start plays in one box. One that follows has no controls of its own: it shows another camera at the instant of the first.
function start(box, follows) {
  const stage = box.closest('[data-stage]') || document;
  const get = (name) => box.getAttribute('data-' + name) || '';
  const one = (sel) => (follows ? box.querySelector(sel) : stage.querySelector(sel) || document.querySelector(sel));
  const video = box.querySelector('video');
  const note = box.querySelector('[data-msg]');
  const live = box.hasAttribute('data-live-view');
  const from = Number(get('from')) || 0; // ms, UTC
  const seconds = Number(get('seconds')) || 0;
  const zone = Number(get('zone')) || 0; // minutes east
  const at = Number(get('at')) || from;
  const ahead = Number(get('now')) - Date.now(); // of the appliance's clock
  const parts = JSON.parse(get('parts') || '{}');
  const pos = one('[data-pos]'), ear = one('[data-act="sound"]'), clock = one('[data-clock]'), stampEl = one('[data-stamp]'), unsure = box.querySelector('[data-unsure]');
  let over = false, state = '', toastTimer = 0, retryTimer = 0, healed = 0, audible = false, audioOff = false, resume = 0;

  // ---- words over the picture
  const panels = [...box.querySelectorAll('[data-scr]')];
  const show = (name) => {
    if (state === name || (over && name !== 'ended' && name !== 'marks')) return;
    state = name;
    panels.forEach((p) => { p.hidden = p.getAttribute('data-scr') !== name; });
  };
  const clear = (...names) => { if (!names.length || names.includes(state)) show(''); };
  const toast = (text) => {
    if (!note) return;
    clearTimeout(toastTimer);
    note.textContent = text;
    note.hidden = !text;
    toastTimer = setTimeout(() => { note.hidden = true; }, 3500);
  };
  const stopMark = watermark(box, get('marks').split('|'), () => Date.now() + ahead, zone, () => { over = true; quiet(); show('marks'); });

  // ---- no way out of the page for the picture
  const none = (ev) => ev.preventDefault();
  ['contextmenu', 'dragstart', 'selectstart'].forEach((n) => box.addEventListener(n, none));
  video.addEventListener('enterpictureinpicture', () => document.exitPictureInPicture());
  if (navigator.mediaSession) {
    navigator.mediaSession.metadata = null;
    ['play', 'pause', 'stop', 'seekbackward', 'seekforward', 'seekto', 'previoustrack', 'nexttrack'].forEach((a) => {
      try { navigator.mediaSession.setActionHandler(a, () => {}); } catch (e) { /* not known to this browser */ }
    });
  }

  // ---- the end, told by the server in the moment it happens
  const quiet = () => {
    video.pause();
    if (hls) hls.destroy();
    video.removeAttribute('src');
    video.load();
    if (events) events.close();
    clearTimeout(retryTimer);
    if (follows) return;
    stage.querySelectorAll('.bar button:not([data-act="help"]), .bar input, .scrub input').forEach((e) => { e.disabled = true; });
    document.querySelectorAll('[data-stage] dialog[open]').forEach((d) => d.close());
  };
  const finish = (end) => {
    if (over) return;
    box.querySelector('[data-end-title]').textContent = end.title;
    box.querySelector('[data-end-text]').textContent = end.text;
    const link = box.querySelector('[data-end-link]');
    if (end.href) { link.href = end.href; link.textContent = end.link; } else link.hidden = true;
    show('ended');
    over = true;
    quiet();
  };
  let hls = null, events = null;
  const ask = async (otherwise) => { // why was it refused?
    try {
      const r = await fetch(get('view') + '/state', { credentials: 'same-origin', cache: 'no-store' });
      if (r.status === 401) { show('login'); return; }
      const s = await r.json();
      if (s.state === 'ended') { finish(s); return; }
    } catch (e) { /* told below */ }
    show(otherwise);
  };
  if (window.EventSource && get('view')) {
    events = new EventSource(get('view') + '/events');
    events.addEventListener('end', (ev) => finish(JSON.parse(ev.data)));
    events.addEventListener('error', () => { if (events.readyState === 2 && !over) ask(state); });
  }

  // ---- can this browser play it at all?
  const h265 = (parts.codecs || []).includes('h265');
  const can = (type) => { try { return (window.ManagedMediaSource || window.MediaSource).isTypeSupported(type); } catch (e) { return false; } };
  const plays265 = () => can('video/mp4; codecs="hvc1.1.6.L120.B0"') || can('video/mp4; codecs="hev1.1.6.L120.B0"');
  if (!Hls.isSupported()) { show(h265 ? 'h265' : 'unsupported'); return null; }
  if (h265 && parts.codecs.length === 1 && !plays265()) { show('h265'); return null; } // before a byte is asked for

  hls = new Hls({
    enableWorker: false, // a worker from a blob would need a wider content policy
    startFragPrefetch: true, // the first part comes while the media source opens
    lowLatencyMode: live,
    liveSyncDurationCount: live ? 1 : 2,
    maxBufferLength: live ? 6 : 20, // what is fetched counts as delivered: do not fetch far ahead
    maxMaxBufferLength: live ? 10 : 30,
    backBufferLength: 30,
    fragLoadPolicy: { default: { maxTimeToFirstByteMs: 8000, maxLoadTimeMs: 20000, timeoutRetry: { maxNumRetry: 2, retryDelayMs: 500, maxRetryDelayMs: 2000 }, errorRetry: { maxNumRetry: 2, retryDelayMs: 500, maxRetryDelayMs: 2000, shouldRetry: (c, n, timeout, r) => n < 2 && (timeout || !r || !(r.code >= 400 && r.code < 500)) } } },
  });
  hls.on(Hls.Events.ERROR, (_, d) => {
    const code = d.response && d.response.code;
    if (code === 401 || code === 403) { ask(code === 401 ? 'login' : 'refused'); return; }
    if (code === 410 || code === 404) { ask(live ? 'nosignal' : code === 410 ? 'past' : 'empty'); if (live) again(); return; }
    if (code === 503) { ask('nolog'); return; }
    if (/codec/i.test(d.details || '') && h265 && !plays265()) { show('h265'); hls.stopLoad(); return; }
    if (!d.fatal) return;
    if (d.type === Hls.ErrorTypes.NETWORK_ERROR) { show('network'); again(); return; }
    if (d.type === Hls.ErrorTypes.MEDIA_ERROR && healed++ < 3) {
      if (audible && !audioOff && !live && healed > 1) disableAudio(); else hls.recoverMediaError();
      return;
    }
    show('media');
  });
  // What a camera calls sound may be something that no browser decodes; the pictures go on without it.
  const disableAudio = async () => {
    audioOff = true;
    resume = wall();
    try { await fetch(get('view') + '/audio-off', { method: 'POST', credentials: 'same-origin' }); } catch (e) { show('network'); return; }
    hls.recoverMediaError();
    hls.loadSource(get('src'));
  };
  hls.on(Hls.Events.BUFFER_CODECS, (_, d) => {
    audible = !!(d.audio || (d.audiovideo && /mp4a|opus|flac/i.test(d.audiovideo.codec + d.audiovideo.levelCodec)));
    if (ear) ear.hidden = !audible;
  });
  const again = () => {
    clearTimeout(retryTimer);
    retryTimer = setTimeout(() => { if (!over) { if (frags().length) hls.startLoad(video.currentTime); else hls.loadSource(get('src')); } }, 3000);
  };
  box.querySelectorAll('[data-retry]').forEach((b) => b.addEventListener('click', () => { healed = 0; show('loading'); if (frags().length) { hls.startLoad(video.currentTime); hls.recoverMediaError(); } else hls.loadSource(get('src')); }));

  // ---- time: the wall clock of the frame on screen, and the way back
  const frags = () => { if (over) return []; const l = hls.levels && hls.levels[0]; return (l && l.details && l.details.fragments) || []; };
  const wall = (t = video.currentTime) => {
    let hit = null;
    for (const f of frags()) { if (f.start <= t + 0.05 && f.programDateTime) hit = f; }
    return hit ? hit.programDateTime + (t - hit.start) * 1000 : 0;
  };
  // Pictures before the span are there because the first one of it needs them. They are not to be seen.
  const lead = () => { const l = hls && hls.levels && hls.levels[0]; return (l && l.details && l.details.startTimeOffset) || 0; };
  const curtain = () => {
    if (live || over || !frags().length) return;
    const early = video.currentTime < lead() - 0.002;
    if (early) { box.classList.add('is-early'); video.currentTime = lead(); } else if (!video.seeking && video.readyState > 1) box.classList.remove('is-early');
  };
  ['loadeddata', 'seeking', 'seeked', 'canplay', 'timeupdate'].forEach((n) => video.addEventListener(n, curtain));
  // place is where an instant is in the media; -1 where nothing of it is.
  const place = (ms) => {
    const f = frags().find((x) => x.programDateTime && ms >= x.programDateTime && ms < x.programDateTime + x.duration * 1000);
    return f ? f.start + (ms - f.programDateTime) / 1000 : -1;
  };
  const seek = (ms) => {
    ms = Math.max(ms, from);
    const list = frags().filter((f) => f.programDateTime);
    speed.stop();
    for (const f of list) {
      if (ms < f.programDateTime + f.duration * 1000) { video.currentTime = Math.max(f.start, f.start + (ms - f.programDateTime) / 1000); return; }
    }
    if (list.length) video.currentTime = list[list.length - 1].start;
  };
  const speed = speeds(video, hls, (what) => toast(get('t-' + what)));
  let placed = live || follows;
  hls.on(Hls.Events.LEVEL_LOADED, () => {
    clear('network', 'nosignal');
    if (!placed) { placed = true; setTimeout(() => { if (at > from) seek(at); play(); }, 0); }
    if (resume) { const to = resume; resume = 0; setTimeout(() => { seek(to); play(); }, 0); }
  });
  show('loading');
  hls.attachMedia(video);
  hls.loadSource(get('src'));
  const play = () => { const p = video.play(); if (p) p.catch(() => {}); };
  if (live) video.addEventListener('canplay', play, { once: true });

  const two = (n) => String(n).padStart(2, '0');
  const hms = (ms) => { const d = new Date(ms + zone * 60000); return two(d.getUTCHours()) + ':' + two(d.getUTCMinutes()) + ':' + two(d.getUTCSeconds()); };
  let before = 0, dragging = false;
  if (pos) {
    pos.addEventListener('pointerdown', () => { dragging = true; });
    ['pointerup', 'pointercancel', 'blur'].forEach((n) => pos.addEventListener(n, () => { dragging = false; }));
  }
  const tick = () => {
    const w = wall();
    if (!w) return;
    if (clock) clock.textContent = hms(w);
    if (stampEl) stampEl.textContent = stamp(w, zone);
    if (pos && !dragging) pos.value = String(Math.round((w - from) / 1000));
    if (pos) pos.setAttribute('aria-valuetext', hms(w));
    const doubt = (parts.unsure || []).find((u) => u.from <= w && w < u.to);
    if (unsure) { unsure.hidden = !doubt; if (doubt) unsure.textContent = doubt.text; }
    const jumped = (parts.gaps || []).find((g) => before && before <= g.from + 500 && w >= g.to - 500 && w - before > 1500);
    if (jumped && !video.seeking) toast(jumped.text);
    before = w;
  };
  video.addEventListener('timeupdate', tick);
  video.addEventListener('seeked', tick);
  let waiting = 0;
  const wait = () => { clearTimeout(waiting); waiting = setTimeout(() => { if (!over && video.readyState < 3 && state === '') show('loading'); }, 500); };
  ['waiting', 'seeking', 'stalled'].forEach((n) => video.addEventListener(n, wait));
  ['playing', 'seeked', 'canplay'].forEach((n) => video.addEventListener(n, () => { clearTimeout(waiting); clear('loading', 'network', 'nosignal', 'media'); }));
  if (pos) {
    pos.addEventListener('input', () => { if (clock) clock.textContent = hms(from + Number(pos.value) * 1000); });
    pos.addEventListener('change', () => seek(from + Number(pos.value) * 1000));
    pos.addEventListener('pointerup', () => pos.blur()); // the clock moves it again
  }
  document.querySelectorAll('[data-seek]').forEach((b) => b.addEventListener('click', () => seek(Number(b.getAttribute('data-seek')) + 200)));

  // The end of the viewing is told when the page goes; the server ends it by itself when nothing is fetched.
  let told = false;
  addEventListener('pagehide', () => {
    if (told) return;
    told = true;
    stopMark();
    if (!over) navigator.sendBeacon(get('close'), '');
    over = true;
    if (hls) hls.destroy();
    if (events) events.close();
  });
  const handle = { video, wall, place, play, over: () => over, show, clear, loaded: () => frags().length > 0 };
  if (follows) return handle;
  if (pos) previews(one('[data-peek]'), pos, { src: get('src'), from, marks: get('marks').split('|'), now: () => Date.now() + ahead, zone, place, hms, over: () => over });

  // ---- gaps: to the last picture before one, then to the first after it
  const edge = (dir) => {
    const w = wall(), edges = [];
    (parts.gaps || []).forEach((g) => {
      if (g.from > from + 1000) edges.push({ at: g.from - 2000, word: 'edge' });
      if (g.to < from + seconds * 1000 - 1000) edges.push({ at: g.to + 200, word: 'footage' });
    });
    edges.sort((a, b) => a.at - b.at);
    const e = dir > 0 ? edges.find((x) => x.at > w + 800) : edges.reverse().find((x) => x.at < w - 1500);
    if (!e) { toast(get('t-none')); return; }
    video.pause();
    seek(Math.max(from, e.at));
    toast(get('t-' + e.word));
  };

  // ---- zoom into the picture: what is fetched, entered and kept as a still is the whole picture all the same
  const ZOOMS = [1, 1.5, 2, 3, 4];
  let zoom = 0, panX = 0, panY = 0, drag = null, dragged = false;
  const look = () => {
    const z = ZOOMS[zoom], most = (z - 1) / 2 / z * 100; // per cent of the picture
    panX = Math.max(-most, Math.min(most, panX));
    panY = Math.max(-most, Math.min(most, panY));
    video.style.transform = z === 1 ? '' : 'scale(' + z + ') translate(' + panX + '%,' + panY + '%)';
    video.classList.toggle('is-zoomed', z > 1);
    const outer = one('[data-act="zoomout"]'), inner = one('[data-act="zoomin"]');
    if (outer) outer.disabled = zoom === 0;
    if (inner) inner.disabled = zoom === ZOOMS.length - 1;
  };
  const zoomBy = (d) => { zoom = Math.max(0, Math.min(ZOOMS.length - 1, zoom + d)); look(); toast(get('t-zoom') + ' ' + ZOOMS[zoom] + '×'); };
  video.addEventListener('pointerdown', (ev) => { dragged = false; if (zoom > 0) { drag = { x: ev.clientX, y: ev.clientY }; video.setPointerCapture(ev.pointerId); } });
  video.addEventListener('pointermove', (ev) => {
    if (!drag) return;
    const b = video.getBoundingClientRect(); // of the picture as enlarged
    if (Math.abs(ev.clientX - drag.x) + Math.abs(ev.clientY - drag.y) > 3) dragged = true;
    panX += (ev.clientX - drag.x) / b.width * 100;
    panY += (ev.clientY - drag.y) / b.height * 100;
    drag = { x: ev.clientX, y: ev.clientY };
    look();
  });
  ['pointerup', 'pointercancel'].forEach((n) => video.addEventListener(n, () => { drag = null; }));

  // ---- in full screen the controls go while nobody moves
  let idle = 0;
  const awake = () => {
    if (stage === document) return;
    stage.classList.remove('is-idle');
    clearTimeout(idle);
    idle = setTimeout(() => {
      const ctl = stage.querySelector('.ctl');
      if (document.fullscreenElement === stage && !video.paused && !(ctl && ctl.contains(document.activeElement))) stage.classList.add('is-idle');
    }, 3000);
  };
  ['pointermove', 'pointerdown', 'keydown', 'focusin'].forEach((n) => stage.addEventListener(n, awake));
  document.addEventListener('fullscreenchange', awake);

  // ---- what the person does
  const still = stills(box, stage, video, toast, { wall, shown: () => speed.shown, hold: () => { speed.stop(); face(); } });
  const help = one('[data-help]');
  const rate = (n) => {
    speed.set(n);
    document.querySelectorAll('[name="speed"]').forEach((r) => { r.checked = Number(r.value) === n; });
  };
  const change = (dir) => {
    const n = RATES[Math.max(0, Math.min(RATES.length - 1, RATES.indexOf(speed.rate) + dir))];
    rate(n);
    toast(get('t-speed') + ' ' + n + '×');
  };
  if (ear) video.addEventListener('volumechange', () => ear.setAttribute('aria-pressed', String(!video.muted)));
  const act = {
    play: () => { const hopped = speed.hopping; speed.stop(); if (hopped) face(); else if (video.paused) play(); else video.pause(); },
    back: () => seek(wall() - 10000),
    fwd: () => seek(wall() + 10000),
    frame: () => speed.frame(1),
    frameback: () => speed.frame(-1),
    gapfwd: () => edge(1),
    gapback: () => edge(-1),
    still: () => { if (still && video.readyState >= 2) still.take(); },
    sound: () => { if (audible) video.muted = !video.muted; },
    zoomin: () => zoomBy(1),
    zoomout: () => zoomBy(-1),
    help: () => { if (help.open) help.close(); else help.showModal(); },
    full: () => { const f = document.fullscreenElement; if (f) document.exitFullscreen(); else if (stage.requestFullscreen) stage.requestFullscreen(); },
  };
  // While a still is being entered nothing moves the picture.
  const free = (f) => (ev) => { if (!still || !still.busy()) f(ev); };
  stage.querySelectorAll('[data-act]').forEach((b) => {
    const f = act[b.getAttribute('data-act')];
    if (f) b.addEventListener('click', free(f));
  });
  video.addEventListener('click', free(() => { if (!dragged) act.play(); }));
  video.addEventListener('dblclick', act.full);
  document.querySelectorAll('[name="speed"]').forEach((r) => r.addEventListener('change', () => rate(Number(r.value))));
  const button = one('[data-act="play"]');
  const face = () => { if (button) button.classList.toggle('is-playing', !video.paused || speed.hopping); };
  video.addEventListener('play', face);
  video.addEventListener('pause', face);
  const keys = live ? { ' ': act.play, z: act.zoomin, x: act.zoomout, m: act.sound, f: act.full, '?': act.help } :
    { ' ': act.play, ArrowLeft: act.back, ArrowRight: act.fwd, ',': act.frameback, '.': act.frame, '[': act.gapback, ']': act.gapfwd, '-': () => change(-1), '+': () => change(1), '=': () => change(1),
      1: () => rate(1), g: () => one('#goto').focus(), s: act.still, z: act.zoomin, x: act.zoomout, m: act.sound, f: act.full, '?': act.help };
  // Keys of one letter count only at the player: elsewhere on the page a slip would make an entry in the log. Radios and
  // the slider keep their own keys. A key that is held repeats jumps and frames and nothing else.
  if (stage !== document) {
    stage.tabIndex = -1; // a click in it gives it the keys
    if (document.activeElement === document.body) stage.focus({ preventScroll: true });
  }
  const repeats = /^(ArrowLeft|ArrowRight|,|\.|-|\+|=)$/;
  const own = /^(ArrowLeft|ArrowRight|ArrowUp|ArrowDown|Home|End|PageUp|PageDown| )$/;
  document.addEventListener('keydown', (ev) => {
    const tag = ev.target.tagName, type = tag === 'INPUT' ? ev.target.type : '';
    if (ev.ctrlKey || ev.metaKey || ev.altKey || (type && type !== 'radio' && type !== 'range') || /^(TEXTAREA|SELECT)$/.test(tag)) return;
    if (type && own.test(ev.key)) return;
    if (!stage.contains(ev.target) && ev.target !== document.body) return;
    if (ev.target === document.body && /^[a-z]$/i.test(ev.key)) return;
    if (ev.repeat && !repeats.test(ev.key)) { if (keys[ev.key.toLowerCase()]) ev.preventDefault(); return; }
    if (ev.key === ' ' && /^(BUTTON|A|SUMMARY)$/.test(tag)) return; // it presses them
    if (ev.target.closest && ev.target.closest('dialog') && ev.key !== '?') return;
    const f = keys[ev.key.length === 1 ? ev.key.toLowerCase() : ev.key];
    if (f) { ev.preventDefault(); free(f)(); }
  });
  const form = one('[data-goto]'), wrong = one('[data-goto-error]');
  if (form) {
    form.addEventListener('submit', async (ev) => {
      ev.preventDefault();
      const field = form.querySelector('input');
      const r = await fetch(get('view') + '/when?text=' + encodeURIComponent(field.value), { credentials: 'same-origin', cache: 'no-store' });
      const a = await r.json().catch(() => ({}));
      wrong.hidden = !a.text;
      field.setAttribute('aria-invalid', String(!!a.text));
      wrong.textContent = a.text ? a.text + ' ' : '';
      if (a.href) { const l = document.createElement('a'); l.href = a.href; l.textContent = a.link; wrong.appendChild(l); }
      if (a.at) { seek(a.at); field.value = ''; field.blur(); if (stage !== document) stage.focus({ preventScroll: true }); }
    });
    form.querySelector('input').addEventListener('keydown', (ev) => { if (ev.key === 'Escape') { ev.target.blur(); wrong.hidden = true; } });
  }
  return handle;
}
