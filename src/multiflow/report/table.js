/* A table with many rows: sorted by a click on a heading, filtered, searched. */

const DataTable = await library();
new DataTable("#table", {
  paging: false,
  order: [],
  autoWidth: false,
  layout: { topStart: "search", topEnd: null, bottomStart: "info", bottomEnd: null },
  language: { search: "", searchPlaceholder: "search", info: "_TOTAL_ of _MAX_ rows", infoFiltered: "", infoEmpty: "no row" },
  columnDefs: [
    { targets: ".number", columnControl: COMPARE },
    { targets: "_all", columnControl: PICK },
  ],
});
