;; Claims to answer the assignment question, but has none of its functions.
(component
  (instance $nothing)
  (export "deputy:policy/assignment@0.1.0" (instance $nothing)))
