/* A table with a class per row: sorted by a click on a heading, filtered, searched. */

const DataTable = await library();
const headings = document.querySelectorAll("#table thead th").length;
new DataTable("#table", {
  paging: false,
  order: [],
  autoWidth: false,
  layout: { topStart: "search", topEnd: null, bottomStart: "info", bottomEnd: null },
  language: { search: "", searchPlaceholder: "search", info: "_TOTAL_ of _MAX_ rows", infoFiltered: "", infoEmpty: "no row" },
  columnDefs: [
    { targets: 0, columnControl: PICK },
    { targets: [...Array(headings).keys()].slice(1), columnControl: COMPARE },
  ],
});
