exports.handler = function (event) {
  const data = event.data || {};
  return { transformed: data.value * 2, timestamp: new Date().toISOString() };
};
