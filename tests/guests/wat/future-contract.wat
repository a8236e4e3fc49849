;; Answers a question of a contract that this host has never heard of.
(component
  (instance $nothing)
  (export "deputy:policy/assignment@9.0.0" (instance $nothing)))
