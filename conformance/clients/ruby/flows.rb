# One flow of the gem acme-client per run: flows.rb FLOW, with the settings of common.py: ProgramClient.
require 'acme-client'
require 'ipaddr'
require 'json'
require 'socket'

POLL_SECONDS = 0.2
POLLS = 300

def file(leaf)
  File.join(ENV.fetch('ACME_HOME'), leaf)
end

def new_key
  OpenSSL::PKey::EC.generate('prime256v1')
end

def client
  File.write(file('account.key'), new_key.to_pem) unless File.exist?(file('account.key'))
  Acme::Client.new(private_key: OpenSSL::PKey.read(File.read(file('account.key'))), directory: ENV.fetch('ACME_DIRECTORY'))
end

def txt(verb, name, text)
  host, port = ENV.fetch('ACME_DNS_CONTROL').split(':')
  said = TCPSocket.open(host, port.to_i) do |control|
    control.puts({ verb => { name: name, type: 'TXT', data: [text] } }.to_json)
    control.gets
  end
  raise "the DNS responder says: #{said}" unless said == "ok\n"
end

# Puts the answer to a challenge where the server looks; the block runs while it is there.
def answered(authorization)
  if ENV.fetch('ACME_CHALLENGE') == 'dns-01'
    challenge = authorization.dns
    name = "#{challenge.record_name}.#{authorization.identifier['value']}"
    txt('add', name, challenge.record_content)
    yield challenge
    txt('remove', name, challenge.record_content)
  else
    challenge = authorization.http
    path = File.join(ENV.fetch('ACME_TOKENS'), challenge.token)
    File.write(path, challenge.file_content)
    yield challenge
    File.delete(path)
  end
end

def wait_while(thing, status)
  POLLS.times do
    return unless thing.status == status
    sleep(POLL_SECONDS)
    thing.reload
  end
  raise "still #{status}"
end

# The gem's own CSR takes DNS names only.
def csr_for(names, key)
  return Acme::Client::CertificateRequest.new(names: names, private_key: key) unless names.any? { |name| address?(name) }
  request = OpenSSL::X509::Request.new
  request.public_key = key
  alternatives = names.map { |name| "#{address?(name) ? 'IP' : 'DNS'}:#{name}" }.join(',')
  extension = OpenSSL::X509::ExtensionFactory.new.create_extension('subjectAltName', alternatives)
  request.add_attribute(OpenSSL::X509::Attribute.new('extReq', OpenSSL::ASN1::Set.new([OpenSSL::ASN1::Sequence.new([extension])])))
  request.sign(key, OpenSSL::Digest.new('SHA256'))
end

def address?(name)
  IPAddr.new(name) && true
rescue IPAddr::Error
  false
end

def issue
  names = ENV.fetch('ACME_NAMES').split(',')
  order = client.new_order(identifiers: names.map { |name| { type: address?(name) ? 'ip' : 'dns', value: name } })
  order.authorizations.each do |authorization|
    next if authorization.status == 'valid'
    answered(authorization) do |challenge|
      challenge.request_validation
      wait_while(challenge, 'pending')
      wait_while(challenge, 'processing')
      raise "the challenge is #{challenge.status}: #{challenge.error}" unless challenge.status == 'valid'
    end
  end
  key = new_key
  order.finalize(csr: csr_for(names, key))
  wait_while(order, 'processing')
  File.write(file('chain.pem'), order.certificate)
  File.write(file('leaf.key'), key.to_pem)
end

def key_rollover
  following = new_key
  client.account_key_change(new_private_key: following)
  File.write(file('account.key'), following.to_pem)
end

FLOWS = {
  'register' => -> { client.new_account(contact: 'mailto:ops@ruby.test', terms_of_service_agreed: true) },
  'issue' => -> { issue },
  'revoke-by-account' => -> { client.revoke(certificate: File.read(file('chain.pem')), reason: 4) },
  'key-rollover' => -> { key_rollover },
  'deactivate' => -> { client.account_deactivate },
}.freeze

FLOWS.fetch(ARGV.fetch(0)).call
