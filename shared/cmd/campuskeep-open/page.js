"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const say = (zh, en) => { $("state").textContent = zh + " " + en; };
  const go = new Go();

  // The program starts at the first check: until then the page is there at once.
  let started;
  const start = () => started ??= (async () => {
    const text = atob($("program").textContent.trim());
    const packed = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
    const plain = new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
    const program = await WebAssembly.instantiate(await plain, go.importObject);
    await new Promise((ready) => { window.campuskeepReady = ready; go.run(program.instance); });
  })();

  if (!window.WebAssembly || !window.DecompressionStream) {
    say("本浏览器太旧，不能核验：请用 Chrome 86、Edge 86、Firefox 113 或更新的版本，或用 age 和 campuskeep-verify。", "This browser is too old: use Chrome 86, Edge 86, Firefox 113 or newer, or age and campuskeep-verify.");
    $("go").disabled = true;
  }

  let shown = null; // address of the video that is shown
  const forget = () => {
    $("video").removeAttribute("src");
    $("video").load();
    if (shown) URL.revokeObjectURL(shown);
    shown = null;
    $("player").hidden = true;
  };

  const busy = (on) => {
    $("go").disabled = on;
    $("stop").hidden = $("bar").hidden = !on;
    $("bar").value = 0;
    for (const b of $("members").querySelectorAll("button")) b.disabled = on;
  };
  const progress = (done, total) => { $("bar").value = total > 0 ? Math.min(1, done / total) : 0; };
  $("stop").addEventListener("click", () => window.campuskeep.cancel());

  $("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const file = $("file").files[0];
    if (!file) return;
    forget();
    $("result").hidden = true;
    busy(true);
    say("正在核验", "Checking …");
    try {
      await start();
      const r = await window.campuskeep.check(file, $("key").value, $("trusted").value, progress);
      say("", "");
      show(r);
    } catch (err) {
      say("未完成：", err.message);
    } finally {
      busy(false);
    }
  });

  const show = (r) => {
    const verdict = $("verdict");
    const [tone, words] = r.badKey ? ["bad", "公钥格式错误 Public key malformed"]
      : r.locked ? ["bad", "打不开：密码或私钥不对 Not opened: wrong secret or key"]
      : !r.ok ? ["bad", "拒绝 Refused"]
      : r.trusted ? ["ok", "有效 Valid"] : ["warn", "完整，但来源未确认 Whole, but origin unconfirmed"];
    verdict.className = tone;
    verdict.textContent = words;
    $("text").textContent = r.text;
    const list = r.members || [];
    $("files").hidden = $("files-title").hidden = !list.length;
    $("members").replaceChildren(...list.map(row));
    $("result").hidden = false;
    verdict.focus();
  };

  const row = (m, i) => {
    const tr = document.createElement("tr"), name = document.createElement("td"), size = document.createElement("td"), todo = document.createElement("td");
    name.textContent = m.name;
    size.textContent = m.size.toLocaleString("zh-CN");
    size.className = "num";
    todo.className = "do";
    if (m.video) todo.append(button("播放", "Play", m, () => play(m, i)), " ");
    todo.append(button("另存", "Save", m, () => save(m, i)));
    tr.append(name, size, todo);
    return tr;
  };

  const button = (zh, en, m, act) => {
    const b = document.createElement("button"), span = document.createElement("span");
    b.type = "button";
    span.lang = "en";
    span.textContent = en;
    b.append(zh + " ", span);
    b.setAttribute("aria-label", zh + " " + en + " " + m.name);
    b.addEventListener("click", act);
    return b;
  };

  // content opens a member; the browser keeps large ones on its own disk only when memory is short, and forgets them
  // when the page closes.
  const content = async (m, i, type) => {
    busy(true);
    say("正在解开", "Opening …");
    try {
      const parts = [];
      let done = 0;
      await window.campuskeep.read(i, (b) => { parts.push(new Blob([b])); done += b.length; progress(done, m.size); });
      say("", "");
      return new Blob(parts, { type });
    } catch (err) {
      say("未完成：", err.message);
      return null;
    } finally {
      busy(false);
    }
  };

  const play = async (m, i) => {
    forget();
    const b = await content(m, i, "video/mp4");
    if (!b) return;
    shown = URL.createObjectURL(b);
    $("playing").textContent = m.name;
    $("played").textContent = "";
    $("player").hidden = false;
    $("video").src = shown;
    $("video").focus();
  };
  $("video").addEventListener("error", () => {
    if (shown) $("played").textContent = "本浏览器不能解码这段录像（如 H.265）；请另存后用 VLC 播放。 This browser cannot decode the video (H.265, for example): save it and play it with VLC.";
  });

  const save = async (m, i) => {
    const b = await content(m, i, m.type || "application/octet-stream");
    if (!b) return;
    const a = document.createElement("a"), url = URL.createObjectURL(b);
    a.href = url;
    a.download = m.name.split("/").pop();
    a.click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  };
})();
