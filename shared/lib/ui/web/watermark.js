// The mark of who watches, over the picture: name, unit, address, entry and the time of now. It is laid so densely
// that no part of the picture worth keeping is without it, moves so that it cannot be cut or painted away by
// position, and is drawn again when somebody takes it out. When it cannot be kept, the picture goes.
const NS = 'http://www.w3.org/2000/svg';
const WIDE = 330, HIGH = 116;

const two = (n) => String(n).padStart(2, '0');

// stamp writes an instant as the appliance's clock and zone say it.
export function stamp(ms, zone) {
  const d = new Date(ms + zone * 60000);
  return d.getUTCFullYear() + '-' + two(d.getUTCMonth() + 1) + '-' + two(d.getUTCDate()) + ' ' + two(d.getUTCHours()) + ':' + two(d.getUTCMinutes()) + ':' + two(d.getUTCSeconds());
}

function node(name, attrs, parent) {
  const e = document.createElementNS(NS, name);
  for (const k in attrs) e.setAttribute(k, attrs[k]);
  if (parent) parent.appendChild(e);
  return e;
}

let count = 0;

// watermark keeps the mark over a screen. lines are those of the person; now gives the appliance's time; lost is
// called when the mark cannot be kept.
export function watermark(screen, lines, now, zone, lost) {
  let svg = null, texts = [], pattern = null, broken = 0;
  const id = 'mark-' + (++count);

  const draw = () => {
    if (svg) svg.remove();
    svg = node('svg', { class: 'screen__over', 'aria-hidden': 'true' });
    const defs = node('defs', {}, svg);
    pattern = node('pattern', { id, width: WIDE, height: HIGH, patternUnits: 'userSpaceOnUse' }, defs);
    texts = [node('text', { class: 'sc-w', x: 6, y: 34 }, pattern), node('text', { class: 'sc-w', x: 6, y: 56 }, pattern)];
    node('rect', { width: '100%', height: '100%', fill: 'url(#' + id + ')' }, svg);
    screen.insertBefore(svg, screen.querySelector('.screen__cap'));
    tell();
  };

  const tell = () => {
    const t = now();
    texts[0].textContent = lines[0] + '  ' + (lines[1] || '');
    texts[1].textContent = stamp(t, zone) + '  ' + (lines[2] || '');
    const step = Math.floor(t / 4000); // another place every four seconds
    pattern.setAttribute('patternTransform', 'rotate(-16) translate(' + (step * 67) % WIDE + ' ' + (step * 41) % HIGH + ')');
  };

  const whole = () => {
    if (!svg || svg.parentNode !== screen || !texts[0].isConnected || !texts[0].textContent.includes(lines[0])) return false;
    const s = getComputedStyle(svg), t = getComputedStyle(texts[0]);
    return s.display !== 'none' && s.visibility !== 'hidden' && Number(s.opacity) > 0.9 && Number(t.fillOpacity) > 0.1 && t.display !== 'none' && parseFloat(t.fontSize) > 9;
  };

  const look = () => {
    if (whole()) { broken = 0; return; }
    draw();
    broken = whole() ? broken + 1 : 99;
    if (broken > 5) { stop(); lost(); }
  };

  const watch = new MutationObserver(look);
  const timer = setInterval(() => { look(); tell(); }, 1000);
  const stop = () => { watch.disconnect(); clearInterval(timer); };
  draw();
  watch.observe(screen, { childList: true });
  watch.observe(screen, { attributes: true, attributeFilter: ['class', 'style', 'hidden'] });
  return stop;
}
