exports.up = (knex) => knex.raw('alter table posts alter column title type varchar(200), add column words text')
exports.down = (knex) => knex.raw('alter table posts alter column title type varchar(80), drop column words')
