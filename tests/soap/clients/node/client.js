// node client.js WSDL KEY VERSION WAY < parameters.json: calls everything, and prints what came as JSON.
'use strict'
const fs = require('node:fs')
const soap = require('soap')

const [wsdl, key, version, way] = process.argv.slice(2)
const same = (text) => text
// Numbers of JavaScript have 53 bits and its dates no microseconds: by default this library loses the rest.
const options = {
  forceSoap12Headers: version === '1.2',
  handleNilAsNull: true,
  preserveWhitespace: true,
  customDeserializer: { integer: same, decimal: same, date: same, dateTime: same, double: same }
}

async function client(given) {
  const made = await soap.createClientAsync(wsdl, options)
  if (given && way === 'http') made.addHttpHeader('AccessKey', given)
  if (given && way === 'basic') made.setSecurity(new soap.BasicAuthSecurity('siapa', given))
  if (given && way === 'wsse') made.setSecurity(new soap.WSSecurity('siapa', given, { passwordType: 'PasswordText' }))
  if (given && way === 'soap') made.addSoapHeader({ 'tns:AccessKey': given }, '', 'tns', 'urn:mantra:prov:jenis')
  return made
}

async function failure(call) {
  try {
    await call()
  } catch (error) {
    const fault = error.root.Envelope.Body.Fault
    const detail = version === '1.2' ? fault.Detail : fault.detail
    const code = version === '1.2' ? fault.Code.Value : fault.faultcode
    return { ...detail.Fault, soap: code.replace(/.*:/, '') }
  }
  return {}
}

async function main() {
  const made = await client(key)
  const port = made[Object.keys(made.describe())[0]][version === '1.2' ? 'jenisSoap12' : 'jenisSoap11']
  const call = async (name, given) => (await new Promise((resolve, reject) =>
    port[name](given, (error, result) => error ? reject(error) : resolve(result))))
  const found = {}
  const values = await call('nilai', {})
  found.nilai = values.data.row
  found.envelope = [values.status, values.code, values.message, values.count, values.truncated]
  found.gema = (await call('gema', JSON.parse(fs.readFileSync(0, 'utf8')))).data.row[0]
  found.gema_nil = (await call('gema', { teks: { attributes: { 'xsi:nil': 'true' } } })).data.row[0]
  const nothing = await call('kosong', {})
  found.kosong = [nothing.data, nothing.count]
  found.bebas = (await call('bebas', {})).data.row
  found.catat = (await call('catat', { isi: 'Sitī 😀' })).affected
  found.telusur = (await call('telusur', { nip: '7' })).data
  found.banyak = (await call('banyak', { jumlah: 3000 })).data.row.length
  const stranger = await client('')
  found.faults = {
    value: await failure(() => call('satu', { id: -1 })),
    missing: await failure(() => call('satu', {})),
    key: await failure(() => stranger.satuAsync({ id: 1 }))
  }
  console.log(JSON.stringify(found))
}

main().catch((error) => {
  console.error(error.stack)
  process.exit(1)
})
