/** A function for titles and names that the blog stores as HTML: it removes tags and decodes entities. */
export const PLAIN_TEXT = String.raw`create or replace function popular_posts_schema.plain_text(html text) returns text language plpgsql immutable as $plain$
declare
  plain text := regexp_replace(html, '</?[a-z][^>]*>', '', 'gi');
  code text;
begin
  for code in select distinct entity[1] from regexp_matches(plain, '&#0*([0-9]{2,5});', 'g') as entity loop
    if code::integer between 32 and 55295 then
      plain := regexp_replace(plain, '&#0*' || code || ';', replace(chr(code::integer), '\', '\\'), 'g');
    end if;
  end loop;
  return replace(replace(replace(replace(replace(plain, '&lt;', '<'), '&gt;', '>'), '&quot;', '"'), '&nbsp;', ' '), '&amp;', '&');
end
$plain$`
