# METADATA
# title: Who may ask the OPA server what
# description: >-
#   Guards the OPA server itself (OPA's --authorization=basic). The gateway's token reaches the entry points and what an
#   operator looks at, nothing else; policies and data cannot be changed through the API at all. Loaded as a bundle of
#   its own, beside the approved one. The data holds the token's digest, never the token.
package system.authz

default allow := false

allow if {
	input.method == "GET"
	input.path == ["health"]
}

allow if {
	known_token
	input.method == "POST"
	concat("/", input.path) in {
		"v1/data/sidecar/alerts/raised",
		"v1/data/sidecar/request/decision",
		"v1/data/sidecar/sealing/classification",
	}
}

allow if {
	known_token
	input.method == "GET"
	concat("/", input.path) in {"v1/policies", "v1/policies/", "v1/data/system/bundles"}
}

known_token if {
	is_string(input.identity)
	crypto.sha256(input.identity) == data.authz.token_sha256
}
