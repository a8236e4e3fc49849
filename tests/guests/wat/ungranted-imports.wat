;; Wants what nobody grants: the environment, and an interface somebody made up.
(component
  (import "wasi:cli/environment@0.2.0" (instance
    (export "get-environment" (func (result (list (tuple string string)))))))
  (import "acme:directory/people@1.0.0" (instance
    (export "boss-of" (func (param "name" string) (result string))))))
