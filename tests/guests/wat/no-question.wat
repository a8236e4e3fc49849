;; A component in order that answers none of the host's questions.
(component
  (instance $nothing)
  (export "acme:weather/forecast@1.0.0" (instance $nothing)))
