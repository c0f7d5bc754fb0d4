/* What every interactive page needs. */

async function unpack(id) {
  const packed = atob(document.getElementById(id).textContent);
  const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

async function library() {
  const address = URL.createObjectURL(new Blob([await unpack("datatables")], { type: "text/javascript" }));
  const module = await import(address);
  URL.revokeObjectURL(address);
  return module.default;
}

/* Text columns are filtered by picking their values, columns of numbers by comparing. */
const OPTIONS = {
  paging: false,
  order: [],
  autoWidth: false,
  layout: { topStart: "search", topEnd: null, bottomStart: "info", bottomEnd: null },
  language: { search: "", searchPlaceholder: "search", info: "_TOTAL_ of _MAX_ rows", infoFiltered: "", infoEmpty: "no row" },
  columnDefs: [
    { targets: ".number", columnControl: [["search"]] },
    { targets: "_all", columnControl: [["searchList"]] },
  ],
};
