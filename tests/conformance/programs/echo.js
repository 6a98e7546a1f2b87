// Makes each connection that it is told to make, and sends back whatever comes. It is told by a
// connection of its own. In Node: node echo.js URL. In a browser: by the server that it is from.
"use strict";

const inNode = typeof process !== "undefined";
const Socket = inNode ? require("ws") : WebSocket;

const control = new Socket(inNode ? process.argv[2] : `ws://${location.host}/`);
control.onmessage = ({ data }) => {
  const { url, options } = JSON.parse(data);
  const socket = inNode ? new Socket(url, options) : new Socket(url);
  socket.binaryType = "arraybuffer";
  socket.onmessage = (message) => socket.send(message.data);
  socket.onerror = () => {}; // the server is told
};
if (inNode) control.onclose = () => process.exit();
