exports.up = (knex) =>
  knex.schema.createTable('posts', (table) => {
    table.bigIncrements('id')
    table.string('slug', 80).unique()
    table.string('title', 80)
    table.timestamp('published_at')
  })
exports.down = (knex) => knex.schema.dropTable('posts')
