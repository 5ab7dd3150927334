// The prices of prices.json as a table, and what a harvest fetches at them.

const KILOGRAMS_A_PRICE = 40;

const rupees = new Intl.NumberFormat('en-PK');
const element = (id) => document.getElementById(id);

const { market, day, crops } = await (await fetch('prices.json')).json();

/** Per cent, rounded to tenths. */
const change = ({ price_pkr, week_ago_pkr }) =>
  Math.round(((price_pkr - week_ago_pkr) / week_ago_pkr) * 1000) / 10;

function cell(text, properties = {}) {
  return Object.assign(document.createElement('td'), { textContent: text, ...properties });
}

function row(crop) {
  const tr = document.createElement('tr');
  const percent = change(crop);
  const arrow = percent > 0 ? '▲' : percent < 0 ? '▼' : '–';
  tr.append(
    cell(crop.crop),
    cell(crop.urdu, { lang: 'ur', dir: 'rtl' }),
    cell(`Rs ${rupees.format(crop.price_pkr)}`),
    cell(`Rs ${rupees.format(crop.week_ago_pkr)}`),
    cell(`${arrow} ${Math.abs(percent).toFixed(1)} %`, {
      className: percent > 0 ? 'up' : percent < 0 ? 'down' : '',
    }),
  );
  return tr;
}

function value() {
  const crop = crops[element('crop').selectedIndex];
  const kilograms = Math.max(0, element('kilograms').valueAsNumber || 0);
  const worth = Math.round((kilograms / KILOGRAMS_A_PRICE) * crop.price_pkr);
  const difference = Math.round(
    (kilograms / KILOGRAMS_A_PRICE) * (crop.price_pkr - crop.week_ago_pkr),
  );
  element('worth').value = rupees.format(worth);
  element('advice').textContent =
    difference === 0
      ? 'The same as a week ago.'
      : `Rs ${rupees.format(Math.abs(difference))} ${difference > 0 ? 'more' : 'less'} than a week ago.`;
}

element('market').textContent = market;
element('day').textContent = new Intl.DateTimeFormat('en-GB', {
  dateStyle: 'long',
  timeZone: 'UTC',
}).format(new Date(day));
element('prices').append(...crops.map(row));
element('crop').append(...crops.map(({ crop }) => new Option(crop)));
element('crop').addEventListener('change', value);
element('kilograms').addEventListener('input', value);
value();
