"use strict";
// What a launch needs of the browser: the platform's storage where ours keeps nothing (LTI postMessage Storage), and
// forms that go on by themselves. Each is done once; a link or a button is there for whoever this does not help.
const WAIT = 1500;
const storage = (place) => {
  const above = window.parent !== window ? window.parent : window.opener;
  if (!above) return null;
  const {target} = place.dataset;
  if (!target || target === "_parent") return above;
  try {
    return above.frames[target] ?? above;
  } catch {
    return above;
  }
};
const ask = (place, message) =>
  new Promise((done) => {
    const frame = storage(place);
    const {origin} = place.dataset;
    if (!frame || !origin) return done(null);
    const id = crypto.randomUUID ? crypto.randomUUID() : String(Math.random());
    const listen = (event) => {
      if (event.origin !== origin || event.data?.message_id !== id) return;
      if (event.data.subject !== `${message.subject}.response`) return;
      window.removeEventListener("message", listen);
      done(event.data);
    };
    window.addEventListener("message", listen);
    frame.postMessage({...message, message_id: id}, origin);
    setTimeout(() => done(null), WAIT);
  });
const keep = document.querySelector("[data-keep]");
if (keep) {
  const {key, value} = keep.dataset;
  ask(keep, {subject: "lti.put_data", key, value}).then(() => location.replace(document.getElementById("go").href));
}
const proof = document.querySelector("form[data-ask]");
if (proof) {
  ask(proof, {subject: "lti.get_data", key: proof.dataset.key}).then((answer) => {
    proof.elements.stored.value = typeof answer?.value === "string" ? answer.value : "";
    proof.submit();
  });
}
document.querySelector("form[data-submit]")?.submit();
if (document.querySelector("[data-registered]"))
  (window.opener ?? window.parent).postMessage({subject: "org.imsglobal.lti.close"}, "*");
