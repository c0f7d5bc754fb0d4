/* A table with many rows: sorted by a click on a heading, filtered, searched. */

const DataTable = await library();
new DataTable("#table", OPTIONS);
